"""What somebody needs to know who helps from afar: versions, machine, store and server, without a name or a secret."""
