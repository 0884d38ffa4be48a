package dialect

import (
	"os"
	"testing"
)

// TestBuiltIn tests that all embedded files load.
func TestBuiltIn(t *testing.T) {
	_, errs := readAll(os.DirFS("."), nil)
	for _, err := range errs {
		t.Error(err)
	}
}
