package statstest

import "relcheck/checker/stats/rollup"

// Rollups returns the rollups of a fold by day, by week, and by four weeks.
func Rollups(f *rollup.Fold) map[rollup.Slot]*rollup.Rollup {
	all := map[rollup.Slot]*rollup.Rollup{}
	for slot, day := range f.Days() {
		all[slot] = day
		for _, span := range rollup.Spans[1:] {
			rollup.AddPart(all, slot.In(span), day)
		}
	}
	return all
}

// Sum is [rollup.Merger.MergeInto] for rollups that are not encoded.
func Sum(b *rollup.BuildTotals, r rollup.Range, rollups map[rollup.Period]*rollup.Rollup) {
	var encoded []rollup.Encoded
	for p, sum := range rollups {
		data, err := sum.AppendBinary(nil)
		if err != nil {
			panic(err) // every rollup can be encoded
		}
		encoded = append(encoded, rollup.Encoded{Period: p, Data: data})
	}
	if err := rollup.NewMerger(r, rollup.MaxDay).MergeInto(b, encoded); err != nil {
		panic(err) // they were encoded just now
	}
}

// Instances returns the number of distinct instances of all builds.
func Instances(f *rollup.Totals) (n int64) {
	for i := range f.Builds {
		n += f.Builds[i].Instances
	}
	return n
}
