"""The agent that enters the containers of a Docker Engine into the registry."""
