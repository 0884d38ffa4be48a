package upstream

import "context"

// Private reports whether a host has an address that is not public.
func Private(ctx context.Context, host string) bool { return private(ctx, host) }
