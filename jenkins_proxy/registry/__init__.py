"""The registry: clients of Consul's HTTP API, the embedded registry that speaks it, and the registrator agent."""
