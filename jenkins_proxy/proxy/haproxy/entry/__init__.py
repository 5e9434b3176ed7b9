"""What users meet at the entry beside the routes: TLS, redirects, headers, logs, pages."""
