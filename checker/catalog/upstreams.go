package catalog

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

const (
	// maxUpstreams is the maximum number of upstreams of a product.
	maxUpstreams = 20
	// maxUpstream is the maximum length of an upstream, in bytes.
	maxUpstream = 1000
)

// Sync is the result of the last sync of a product with an upstream.
type Sync struct {
	Upstream  string    // an element of [Product.UpstreamList]
	Tried     time.Time // time of the last attempt
	Succeeded time.Time // time of the last attempt that did not fail, or zero
	Error     string    // why the last attempt failed, or empty
	Latest    string    // tag of the latest release of upstream at the last success, or empty

	// State identifies the list that was read, so that a later sync can detect changes. It
	// is not loaded with a product.
	State []byte
}

// UpstreamList returns the names of the product's upstreams. The modules of a product
// without upstreams are its upstreams.
func (p *Product) UpstreamList() []string {
	all := strings.Fields(p.Upstreams)
	if len(all) == 0 {
		for path := range strings.FieldsSeq(p.Module) {
			all = append(all, UpstreamName{Kind: GoUpstream, Module: path}.String())
		}
	}
	return all
}

// cleanUpstream returns the name of an upstream in canonical form.
func cleanUpstream(text string) (string, error) {
	if len(text) > maxUpstream {
		return "", fieldErrorf("upstreams", "an upstream has %d bytes; give one of at most %d", len(text), maxUpstream)
	}
	u, err := ParseUpstream(text)
	if err != nil && !strings.Contains(text, ":") { // the list is separated by spaces
		err = fmt.Errorf("%w; a space in a path is written %%20", err)
	}
	if err != nil {
		return "", fieldErrorf("upstreams", "%v", err)
	}
	return u.String(), nil
}

// Equal reports whether two products have the same settings. Their syncs may differ.
func (p Product) Equal(q Product) bool {
	p.Syncs, q.Syncs, p.Bundles, q.Bundles = nil, nil, nil, nil
	return reflect.DeepEqual(p, q)
}
