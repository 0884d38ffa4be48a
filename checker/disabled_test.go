package checker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestDisabled disables the client in every way. The control is an enabled client, which
// must connect to the service and create a state file.
func TestDisabled(t *testing.T) {
	variables := func(pairs ...string) func(*testing.T, *Client) {
		return func(t *testing.T, _ *Client) {
			for i := 0; i < len(pairs); i += 2 {
				t.Setenv(pairs[i], pairs[i+1])
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*testing.T, *Client)
		off    bool
	}{
		"nothing":                  {func(*testing.T, *Client) {}, false},
		"field":                    {func(_ *testing.T, c *Client) { c.Disabled = true }, true},
		"no product":               {func(_ *testing.T, c *Client) { c.Product = "" }, true},
		"DO_NOT_TRACK=1":           {variables("DO_NOT_TRACK", "1"), true},
		"DO_NOT_TRACK=true":        {variables("DO_NOT_TRACK", "true"), true},
		"DO_NOT_TRACK=yes":         {variables("DO_NOT_TRACK", "yes"), true},
		"DO_NOT_TRACK=0":           {variables("DO_NOT_TRACK", "0"), false},
		"DO_NOT_TRACK=False":       {variables("DO_NOT_TRACK", "False"), false},
		"DO_NOT_TRACK=":            {variables("DO_NOT_TRACK", ""), false},
		"the product's variable":   {variables("MY_APP_2_DISABLE_TELEMETRY", "1"), true},
		"the variable, not so":     {variables("MY_APP_2_DISABLE_TELEMETRY", "0"), false},
		"another's variable":       {variables("OPA_DISABLE_TELEMETRY", "1"), false},
		"both, and only one is on": {variables("DO_NOT_TRACK", "0", "MY_APP_2_DISABLE_TELEMETRY", "1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			noLeaks(t)
			s := serve(t, reply(ok(newer)))
			c := &Client{Product: "my-app.2", Version: "1.0.0", URL: s.url, StateFile: filepath.Join(folder, "state")}
			test.change(t, c)
			if started := starts(t, c); started == test.off {
				t.Errorf("Start started a goroutine: %v", started)
			}
			_, err := c.Check(t.Context())
			if (err != nil) != test.off || errors.Is(err, ErrDisabled) != (test.off && c.Product != "") {
				t.Errorf("Check: %v", err)
			}
			if n := s.askedBefore(t); (n == 0) != test.off {
				t.Errorf("%d connections were opened", n)
			}
			if files, err := os.ReadDir(folder); err != nil || (len(files) == 0) != test.off {
				t.Errorf("%d files were created (error %v)", len(files), err)
			}
		})
	}
}

// lookups counts the DNS lookups of the tests.
var lookups atomic.Int64

// silenceNames installs a name server that never answers. It stays installed for all
// tests, because a lookup may begin after its test has ended.
func silenceNames() {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		lookups.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// untilLookup returns a context that ends when a name is looked up. A disabled client
// looks up none: its context ends after a short time.
func untilLookup(t *testing.T, off bool) (context.Context, context.CancelFunc) {
	if off {
		return context.WithTimeout(t.Context(), patience)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	before := lookups.Load()
	go func() {
		for ctx.Err() == nil && lookups.Load() == before {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	return ctx, cancel
}

// TestDisabledLooksUpNoName tests that a disabled client does not look up the service's
// name. The control is an enabled client, which the silent name server does not delay.
func TestDisabledLooksUpNoName(t *testing.T) {
	for name, test := range map[string]struct {
		disabled bool
		variable string
	}{
		"on":                     {},
		"field":                  {disabled: true},
		"DO_NOT_TRACK":           {variable: "DO_NOT_TRACK"},
		"the product's variable": {variable: "FOO_DISABLE_TELEMETRY"},
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			before := lookups.Load()
			off := test.disabled || test.variable != ""
			if test.variable != "" {
				t.Setenv(test.variable, "1")
			}
			c := &Client{Product: "foo", Version: "1.0.0", URL: "http://service.invalid", Disabled: test.disabled}
			ctx, cancel := untilLookup(t, off)
			if _, err := c.Check(ctx); err == nil || errors.Is(err, ErrDisabled) != off {
				t.Errorf("Check: %v", err)
			}
			cancel()
			c.URL = "http://another.invalid" // Go shares concurrent lookups of one name
			ctx, cancel = untilLookup(t, off)
			c.Start(ctx)
			<-ctx.Done()
			cancel()
			if n := lookups.Load() - before; (n == 0) != off {
				t.Errorf("%d names were looked up", n)
			}
		})
	}
}

// starts reports whether Start starts a goroutine, and ends it.
func starts(t *testing.T, c *Client) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := runtime.NumGoroutine()
	c.Start(ctx)
	return runtime.NumGoroutine() > before
}

func TestStartDoesNothing(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, start := range map[string]func(){
		"nil":           func() { (*Client)(nil).Start(t.Context()) },
		"zero":          func() { new(Client).Start(t.Context()) },
		"ended context": func() { (&Client{Product: "foo", URL: "http://127.0.0.1:1"}).Start(ended) },
	} {
		before := runtime.NumGoroutine()
		start()
		if runtime.NumGoroutine() > before {
			t.Errorf("%s: Start started a goroutine", name)
		}
	}
}
