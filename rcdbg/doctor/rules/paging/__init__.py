"""Rules about page tables and address spaces."""
