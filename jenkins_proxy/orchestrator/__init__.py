"""What brings containers up: docker compose v2, docker-compose v1 and docker stack."""
