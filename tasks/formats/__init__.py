"""What files hold: IDX, compressed streams, labels; read block by block and checked."""
