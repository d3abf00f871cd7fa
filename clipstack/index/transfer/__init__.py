"""Transfer of rows between collections and files, and between collections of two targets."""
