package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/db"
)

// output is what a list or show command prints: blocks of text and then notes on standard
// error, or only a value with --json.
type output struct {
	*screen
	streams IO
	asJSON  bool
	value   any
	blocks  []block // an empty line separates them
	notes   []string
}

func newOutput(streams IO, asJSON bool) *output {
	return &output{screen: newScreen(streams.Out), streams: streams, asJSON: asJSON}
}

// showCommand adds the flags --db and --json to a command, which calls run with the store, and
// prints the output.
func showCommand(streams IO, c *cobra.Command, run func(ctx context.Context, s *db.Store, args []string, o *output) error) *cobra.Command {
	var asJSON bool
	jsonFlag(c, &asJSON)
	return existingStoreCommand(c, func(ctx context.Context, s *db.Store, args []string) error {
		o := newOutput(streams, asJSON)
		if err := run(ctx, s, args, o); err != nil {
			return err
		}
		return o.write()
	})
}

// add adds lists, whose items are an array in JSON.
func (o *output) add(lists ...*list) *output {
	for _, l := range lists {
		if l.name != "" {
			o.value = map[string][]any{l.name: append([]any{}, l.items...)}
		}
		if len(l.rows) == 0 && l.none != "" {
			o.notes = append(o.notes, l.none)
			continue
		}
		o.blocks = append(o.blocks, o.list(l))
	}
	return o
}

// write prints the output.
func (o *output) write() error {
	if o.asJSON {
		return printJSON(o.streams, o.value)
	}
	o.print(stack(o.blocks...))
	if err := o.flush(); err != nil {
		return err
	}
	printLines(o.streams.Err, o.notes)
	return nil
}

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
