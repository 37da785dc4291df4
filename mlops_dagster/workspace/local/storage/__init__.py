"""What lies in the datastores: files, data assets, models, and what was fetched from elsewhere."""
