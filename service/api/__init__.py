"""The HTTP surface: the native routes, and the routes that the vendor's SDKs speak."""
