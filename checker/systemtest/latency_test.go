package systemtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// times collects response times.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// p99 returns the 99th percentile.
func (t *times) p99() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.all)
	if len(t.all) == 0 {
		return time.Hour
	}
	return t.all[len(t.all)*99/100].Round(10 * time.Microsecond)
}

// latencies are the response times of two clients: one reports over a single connection,
// and one requests /healthz over a new connection each time.
type latencies struct {
	keepAlive time.Duration // 99th percentile
	newConn   times
}

// measureLatency runs the two clients for a time, and calls look ten times a second.
func measureLatency(t *testing.T, p *process, long time.Duration, look func()) *latencies {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var o latencies
	var callers sync.WaitGroup
	callers.Go(func() {
		l := newLoad(t, p.addr, 1, nil)
		r, err := l.Run(ctx)
		if err != nil || r.FirstError != nil || r.Recorded == 0 {
			t.Errorf("reports over one connection: got %+v (error %v), want no errors", r, err)
			return
		}
		o.keepAlive = time.Duration(r.Latency.Quantile(0.99)).Round(10 * time.Microsecond)
	})
	callers.Go(func() {
		for ctx.Err() == nil {
			begin := time.Now()
			if _, err := getOnNewConn(ctx, "http://"+p.addr+"/healthz"); err != nil && ctx.Err() == nil {
				t.Errorf("request over a new connection: %v", err)
			}
			o.newConn.add(time.Since(begin))
			time.Sleep(2 * time.Millisecond)
		}
	})
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		look()
	}
	callers.Wait()
	return &o
}

// getOnNewConn sends a GET request over a new connection and returns the body.
func getOnNewConn(ctx context.Context, url string) (body string, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return string(all), err
}
