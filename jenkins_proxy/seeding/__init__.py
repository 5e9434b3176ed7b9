"""Seeding Jenkins: job specs become config.xml, compared with what is there, written where it differs."""
