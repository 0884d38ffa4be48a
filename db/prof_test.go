package db_test
import "testing"
func BenchmarkBig(b *testing.B) {
	s := open(b, "/tmp/bench-10000000.db")
	figures(b, s, 365)
	b.ResetTimer()
	for b.Loop() { figures(b, s, 365) }
}
func BenchmarkSmall(b *testing.B) {
	s := open(b, "/tmp/bench-100000.db")
	figures(b, s, 365)
	b.ResetTimer()
	for b.Loop() { figures(b, s, 365) }
}
