package catalog

import (
	"cmp"
	"time"

	"relcheck/checker/printable"
)

// ReleaseValue is a value of a release as text, with its source: "operator", the name of an
// upstream list, or what the value is derived from.
type ReleaseValue struct{ Name, Text, Source string }

// Values returns the values of a release of the product with their sources. Values that
// are not known are left out.
func (p *Product) Values(r *Release, layers [2]*Layer) (all []ReleaseValue) {
	up, op := value(layers[Upstream]), value(layers[Operator])
	add := func(name, text string, byOperator, byUpstream bool, otherwise string) {
		source := otherwise
		switch {
		case byOperator:
			source = "operator"
		case byUpstream:
			source = cmp.Or(up.List, "upstream")
		}
		if text != "" || byOperator {
			all = append(all, ReleaseValue{name, text, source})
		}
	}
	add("tag", r.Tag, layers[Upstream] == nil, layers[Upstream] != nil, "")
	add("title", r.Title, op.Title != nil, up.Title != nil, "")
	add("date", formatTime(r.Date), !op.Date().IsZero(), !up.Date().IsZero(), "")
	add("created", formatTime(r.Created), op.Created != nil, up.Created != nil, "")
	add("notes", p.NotesURL(r), op.Notes != nil, up.Notes != nil, "template")
	if text := cmp.Or(op.Text, up.Text); text != nil {
		add("notes text", printable.Count(int64(len(*text)), "byte")+" of Markdown", op.Text != nil, up.Text != nil, "")
	}
	add("pre-release", yesNo(r.Prerelease), op.Prerelease != nil, up.Prerelease != nil, "tag")
	withdrawn := yesNo(r.Withdrawn)
	if r.Reason != "" {
		withdrawn += ": " + r.Reason
	}
	add("withdrawn", withdrawn, op.Withdrawn != nil, up.Withdrawn != nil || up.Gone, "")
	return all
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
