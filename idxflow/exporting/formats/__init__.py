"""The formats that a model is exported in: one file each, behind the protocol of `form.py`."""
