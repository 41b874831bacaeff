# nothing here

# nor here
