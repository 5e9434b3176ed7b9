"""What brings containers up: docker compose v2, docker-compose v1, docker stack, and the engine behind them."""
