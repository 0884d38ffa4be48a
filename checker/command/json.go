package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// jsonFlag adds the flag --json.
func jsonFlag(c *cobra.Command, asJSON *bool) {
	c.Flags().BoolVar(asJSON, "json", false, "print JSON, with the names of the API")
}

// jsonTime returns a time as the API does: RFC 3339, or null if it is zero.
func jsonTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format(time.RFC3339))
}

// jsonWords returns the words of a text, which is an empty list if there are none.
func jsonWords(text string) []string { return append([]string{}, strings.Fields(text)...) }

// printJSON prints a JSON value.
func printJSON(streams IO, v any) error {
	e := json.NewEncoder(streams.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
