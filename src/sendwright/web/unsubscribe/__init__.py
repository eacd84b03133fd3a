"""The pages behind the links by which people unsubscribe. They need no key, no cookie and no script."""
