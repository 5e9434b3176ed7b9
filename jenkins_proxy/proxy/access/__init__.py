"""Who calls the API and what they may: tokens from files, client certificates, and the record of what was changed."""
