"""New images named: the answers as files and as one document."""
