package command

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// serviceManager is the systemd that started this process, if any. It is notified of the
// state of the process as sd_notify(3) describes.
type serviceManager struct {
	socket   string        // empty for none
	watchdog time.Duration // it restarts a process that does not notify it for so long (0: never)
	log      *slog.Logger
}

func newServiceManager(log *slog.Logger) *serviceManager {
	m := &serviceManager{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
	pid := os.Getenv("WATCHDOG_PID")
	if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(us) * time.Microsecond
	}
	return m
}

func (m *serviceManager) notify(state string) {
	if m.socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		m.log.Warn("cannot notify the service manager", "state", state, "err", err)
	}
}

// watch notifies the watchdog, until ctx is done, as long as h answers GET /readyz. Any
// answer will do: a restart helps a process that is stuck, but not one whose disk is full
// or whose database cannot be reached.
func (m *serviceManager) watch(ctx context.Context, h http.Handler) {
	if m.watchdog <= 0 {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		m.log.Error("the watchdog is not notified", "err", err)
		return
	}
	ticker := time.NewTicker(m.watchdog / 3)
	defer ticker.Stop()
	for {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			h.ServeHTTP(discarded{}, r.Clone(ctx))
		}()
		select {
		case <-answered:
			m.notify("WATCHDOG=1")
		case <-ctx.Done():
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// discarded is a response that is not sent.
type discarded http.Header

func (d discarded) Header() http.Header       { return http.Header(d) }
func (discarded) WriteHeader(int)             {}
func (discarded) Write(p []byte) (int, error) { return len(p), nil }
