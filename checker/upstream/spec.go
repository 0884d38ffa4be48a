package upstream

import "relcheck/checker/upstream/spec"

// Spec is the parsed name of an upstream.
type Spec = spec.Spec

// ParseSpec parses the name of an upstream. See [spec.Parse].
func ParseSpec(text string) (Spec, error) { return spec.Parse(text) }
