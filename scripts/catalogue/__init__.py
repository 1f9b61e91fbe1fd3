"""What is declared and published, as tables, pages and data for the people who choose an image."""
