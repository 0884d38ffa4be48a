package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"relcheck/checker/stats"
)

// progress is a line that is updated in place, on terminals only.
type progress struct{ w io.Writer }

func newProgress(w io.Writer) progress {
	if !isTerminal(w) {
		w = io.Discard
	}
	return progress{w}
}

func (p progress) show(format string, args ...any) { fmt.Fprintf(p.w, "\r\x1b[K"+format, args...) }

// bar shows a bar of 40 characters.
func (p progress) bar(done, total int64) {
	const width = 40
	full := int(width * done / max(total, 1))
	p.show("%s%s %3d %%", strings.Repeat("█", full), strings.Repeat("░", width-full), 100*done/max(total, 1))
}

// part shows the current task, and a bar of 10 characters if there are several parts.
func (p progress) part(done, total int, text string) {
	const width, columns = 10, 79
	if total > 1 {
		full := width * done / total
		text = fmt.Sprintf("%s%s %d/%d  %s", strings.Repeat("█", full), strings.Repeat("░", width-full), done, total, text)
	}
	if shown := []rune(masked(text)); len(shown) > columns {
		text = string(shown[:columns-1]) + "…"
	}
	p.show("%s", text)
}

// copied shows the progress of a copy and of its verification.
func (p progress) copied(done, total int64) {
	if done >= total {
		p.show("verifying")
	} else {
		p.bar(done, total)
	}
}

func (p progress) clear() { fmt.Fprint(p.w, "\r\x1b[K") }

// byteProgress shows how many bytes are done.
type byteProgress struct {
	progress
	total   int64
	unknown bool // the total is not known
	done    int64
	shown   time.Time
}

// expect adds a size to the total, or 0 if it is unknown.
func (p *byteProgress) expect(size int64) {
	p.total += size
	p.unknown = p.unknown || size == 0
}

// add adds bytes, and shows the progress at most ten times a second.
func (p *byteProgress) add(n int64) {
	if p.done += n; time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	if p.unknown || p.done > p.total {
		p.show("%s", stats.ShowBytes(float64(p.done)))
	} else {
		p.bar(p.done, p.total)
	}
}
