package systemtest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker/simulate"
)

// waitTimeout is how long an answer is waited for, and whatever else has to come about,
// on a machine that has much to do.
const waitTimeout = time.Minute

// acknowledged collects the ids of reports that were answered with 200.
type acknowledged struct {
	sync.Mutex
	ids map[uuid.UUID]bool
}

func (a *acknowledged) add(id uuid.UUID) {
	a.Lock()
	defer a.Unlock()
	if a.ids == nil {
		a.ids = map[uuid.UUID]bool{}
	}
	a.ids[id] = true
}

// snapshot returns the reports acknowledged until now.
func (a *acknowledged) snapshot() map[uuid.UUID]bool {
	a.Lock()
	defer a.Unlock()
	return maps.Clone(a.ids)
}

// waitUntilClosed waits until n were.
func (a *acknowledged) await(t testing.TB, n int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d reports are acknowledged", n), func() bool {
		a.Lock()
		defer a.Unlock()
		return len(a.ids) >= n
	})
}

// wantRecordedOnce wants each of them once among the ids that were exported.
func (a *acknowledged) wantRecordedOnce(t testing.TB, exported map[uuid.UUID]int) {
	t.Helper()
	for id := range a.ids {
		if exported[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, exported[id])
		}
	}
}

// newLoad sends the report of OPA v0.70.0 over a number of connections, each time with
// a new instance ID.
func newLoad(t testing.TB, addr string, connections int, recorded func(uuid.UUID)) simulate.Load {
	t.Helper()
	return loadOf(t, addr, captured(t, "opa-v0.70.0"), connections, recorded)
}

// captured returns a captured request of a real client.
func captured(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile("../server/testdata/captures/" + name + ".http")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// loadOf sends one request repeatedly.
func loadOf(t testing.TB, addr, raw string, connections int, recorded func(uuid.UUID)) simulate.Load {
	t.Helper()
	c, err := simulate.ReadCapture(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	service := &url.URL{Scheme: "http", Host: addr}
	return simulate.Load{
		Service: service, Connections: connections, Duration: time.Hour, Timeout: waitTimeout, OnRecorded: recorded,
		Requests: simulate.Replay([]simulate.Capture{c}, rand.Uint64(), math.MaxInt, false, service),
	}
}

// sendUntil sends until ctx is done, and returns the number of answers that do not
// record a report. A service that was killed does not answer.
func sendUntil(ctx context.Context, l simulate.Load) (bad int64) {
	r, err := l.Run(ctx)
	if err != nil {
		return 0
	}
	return r.Answered() - r.Recorded
}
