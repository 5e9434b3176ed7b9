"""The certificates that users meet: read, checked, handed to HAProxy while it serves, watched for their end."""
