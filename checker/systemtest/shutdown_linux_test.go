package systemtest

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestShutdownUnderLoad stops a server while reports arrive and other clients are
// deliberately slow. It must exit within ten seconds and lose no acknowledged report.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relcheck.db")
	p := serve(t, file)
	var acked acknowledged
	ctx, stop := context.WithCancel(context.Background())
	var bad int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { bad = sendUntil(ctx, newLoad(t, p.addr, 16, acked.add)) })
	slow := slowClients{css: "/"}
	for i := range 12 {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			slow.sendSlowly(conn, i)
			conn.Close()
		})
	}
	time.Sleep(500 * time.Millisecond) // the slow clients send some bytes
	acked.await(t, 100)
	begin := time.Now()
	p.cmd.Process.Signal(syscall.SIGTERM)
	err := p.cmd.Wait()
	took := time.Since(begin)
	stop()
	wg.Wait()
	if err != nil || took > 10*time.Second {
		t.Errorf("got error %v after %v, want a regular exit within 10 s", err, took)
	}
	acked.wantRecordedOnce(t, exportedIDs(t, file))
	if bad > 0 {
		t.Errorf("got %d responses other than 200, want 0", bad)
	}
	t.Logf("%d reports acknowledged, exit after %v", len(acked.ids), took)
}
