package pages

import (
	"cmp"
	"math"
	"strings"

	"relcheck/checker/stats"
)

// card answers a question in a figure and a sentence.
type card struct {
	Question, Value string
	Text            []string
	Link            link // to the page with details
}

// cards answers the questions of a maintainer.
func (b *builder) cards() []card {
	return []card{b.countCard(), b.dropCard(), b.spreadCard(), b.memoryCard()}
}

func (b *builder) countCard() card {
	c := card{Question: "How many installations?", Link: link{Text: "Activity", URL: b.link("activity", nil)}}
	if b.Remembers() {
		return b.installationsCard(c)
	}
	r, _ := b.period(stats.WholeRange)
	c.Value = "at most " + show(r, stats.ColInstances)
	when := b.rangeText()
	text := "Instances" + b.filterText() + " " + strings.ToLower(when[:1]) + when[1:]
	if r.Known(stats.ColChange) {
		text += ", " + show(r, stats.ColChange) + " from the " + plural(int64(b.Query.Range.Days()), "day", "days") + " before"
	}
	if mean, ok := b.meanOfDays(); ok {
		text += "; " + formatNumber(mean) + " on an average day"
	}
	c.Text = []string{text + ".", "Each restart counts again."}
	return c
}

// meanOfDays returns the mean number of instances of a finished day, if there are several.
func (b *builder) meanOfDays() (mean int64, ok bool) {
	t := b.finishedDays(b.Table("daily"))
	var sum int64
	for r := range t.All() {
		sum += r.Number(stats.ColInstances)
	}
	return int64(math.Round(ratio(sum, int64(len(t.Rows))))), len(t.Rows) > 1
}

func (b *builder) dropCard() card {
	c := card{Question: "What can be dropped?", Value: unknown, Link: link{Text: "Versions", URL: b.link("versions", nil)}}
	below, sentences := b.Droppable(formatValue)
	switch {
	case b.Query.Version != "":
		c.Text = []string{"Remove the filter by version to see it."}
	case below == "":
		c.Text = []string{"No release is known below which less than 5 % of the instances run."}
	default:
		c.Value, c.Text = "below "+below, sentences
	}
	return c
}

func (b *builder) spreadCard() card {
	c := card{Question: "Is adoption slower than last time?", Link: link{Text: "Adoption", URL: b.link("versions", nil) + "#adoption_curves"}}
	answer, sentences := b.Adoption(formatValue)
	switch {
	case b.Query.Version != "":
		sentences = []string{"Remove the filter by version to see it."}
	case len(sentences) == 0:
		sentences = []string{"No release has a date from which to count days."}
	}
	c.Value, c.Text = cmp.Or(answer, unknown), sentences
	return c
}

func (b *builder) memoryCard() card {
	c := card{Question: "Did memory get worse?", Value: unknown, Link: link{Text: "Memory", URL: b.link("memory", nil)}}
	t := b.Table("heap_change")
	if t == nil || len(t.Rows) == 0 {
		c.Text = []string{"Fewer than two versions report their heap, so there is nothing to compare."}
		return c
	}
	answer := b.Query.Answer(t, formatValue)
	c.Text = []string{answer.Text}
	var less, more string // the highest percentiles that are certainly lower or higher
	for r := range t.All() {
		if r.Yes(stats.ColCertain) && r.Text(stats.ColPercentile) != "p99" {
			if r.Float(stats.ColChange) < 0 {
				less, c.Value = r.Text(stats.ColPercentile)+" "+show(r, stats.ColChange), "no, "+show(r, stats.ColChange)
			} else {
				more, c.Value = r.Text(stats.ColPercentile)+" "+show(r, stats.ColChange), "yes, "+show(r, stats.ColChange)
			}
		}
	}
	if less != "" && more != "" {
		c.Value, c.Text = "partly", append(c.Text, "Not all instances changed alike: "+less+", but "+more+".")
	}
	if answer.Doubt {
		c.Value = "not certain"
	}
	return c
}
