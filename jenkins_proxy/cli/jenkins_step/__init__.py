"""A command that runs for a Jenkins step: its values come from the environment, its answers are for Groovy."""
