package command

import (
	"fmt"
	"io"
	"strings"
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

// copied shows the progress of a copy and of its verification.
func (p progress) copied(done, total int64) {
	if done >= total {
		p.show("verifying")
	} else {
		p.bar(done, total)
	}
}

func (p progress) clear() { fmt.Fprint(p.w, "\r\x1b[K") }
