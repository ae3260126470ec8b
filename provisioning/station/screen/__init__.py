"""What people see and type: a Textual application that shows an Engine. Imported only where there is a terminal."""
