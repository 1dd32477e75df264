"""What people see: console, tables, pages."""
