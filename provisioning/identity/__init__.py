"""Who a device is: its key, its certificate, and how both are made, read and checked."""
