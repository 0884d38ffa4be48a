package db

import "context"

// SmallSteps makes the folds of this process take pages of so many reports, and
// returns how many they had before.
func SmallSteps(page int) (before int) {
	before, foldPage = foldPage, page
	return before
}

// Steps are those that lead from one schema to the next.
var Steps = steps[:]

// Create makes a store that is like a new one was when schema was schema.sql.
func Create(ctx context.Context, name, schema string) error {
	if isPostgres(name) {
		return createDatabase(ctx, name, schema, addPresets)
	}
	return createFile(ctx, name, schema, addPresets)
}

// DDL writes a part of a schema as the engine of the store wants it.
func (s *Store) DDL(text string) string { return s.ddl(text) }

// LongStep makes the last step of this process take longer.
func LongStep(more string) { steps[len(steps)-1] += more }
