"""What is published, as pages and data for the people who choose an image."""
