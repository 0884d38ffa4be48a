package server

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// report answers POST /v1/version: it records a report and returns the latest release.
func (s *Server) report(w http.ResponseWriter, r *http.Request, c *call) error {
	report, platform, err := readReport(r)
	if err != nil {
		return err
	}
	if platform == checker.Other && c.prefix.Platform != (checker.Platform{}) {
		platform = c.prefix.Platform
	}
	p := c.product
	release := p.find(report.Version)
	offer, verdict := p.judge(c.channel, release, report.Version)
	answer := offer.answer(platform, verdict)
	from := s.sender(r, p)
	s.countNetwork(from, p, release, platform)
	if s.mayRecord(w, from, kindReport) {
		report.Version = s.countedVersion(from, p, report.Version, release != nil, platform)
		day, err := s.store.Record(r.Context(), p.Name, platform, &report)
		if err != nil {
			return notRecorded(err, answer)
		}
		s.metrics.recorded.Inc()
		answer = withDay(answer, day)
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// withDay returns a copy of an encoded answer with the day under which the report was
// counted.
func withDay(answer []byte, day rollup.Day) []byte {
	b := make([]byte, 0, len(answer)+len(`,"day":"2026-01-31"`))
	b = append(b, answer[:len(answer)-len("}\n")]...)
	b = append(b, `,"day":"`...)
	b = day.Time().AppendFormat(b, time.DateOnly)
	return append(b, "\"}\n"...)
}

// notRecorded returns the failure for a report that was not stored. It includes the
// latest release, but not the text of the error.
func notRecorded(err error, answer []byte) error {
	f := unavailable("not_recorded", "the report could not be recorded; send it again later")
	var full interface{ DiskFull() bool }
	var busy interface{ Busy() bool }
	switch {
	case errors.As(err, &busy) && busy.Busy():
		f.code, f.message = "busy", "too many reports are waiting; send it again later"
	case errors.As(err, &full) && full.DiskFull():
		f = fail(http.StatusInsufficientStorage, "disk_full", "", "the service has no space left to record the report; send it again later")
		f.retryAfter = 60
	}
	f.latest = latestOf(answer)
	return f
}

// latestOf returns the object in an encoded answer, {"latest":{…}}\n.
func latestOf(answer []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimPrefix(answer, []byte(`{"latest":`)), []byte("}\n"))
}
