package public

import (
	"encoding/binary"
	"io"
)

// Scale is the scale of the noise: the probability of the noise z is proportional to
// exp(-|z|/Scale).
//
// It is the largest sum of the changes of all cells of a week if the reports of one network
// are added, removed or changed. On each of seven days, the network adds 1 to one cell of each of
// three tables. If the set of the day is full, it also takes the place of one other network,
// which subtracts 1 from one cell of each table: 7 × 3 × 2 = 42. If its reports are changed, its
// 1 moves to another cell or network, so that also two cells of each table change. The
// probability of a document therefore changes by a factor of at most exp(42/Scale) = e.
const Scale = 42

// noise returns discrete Laplace noise, from random bytes. It uses integers only, so its
// distribution is exact (Canonne, Kamath and Steinke, The Discrete Gaussian for Differential
// Privacy, 2020, algorithm 2):
//
// A uniform u below Scale is accepted with probability exp(-u/Scale), and v is geometric with
// ratio exp(-1). So u + v × Scale has the value x with a probability proportional to
// exp(-u/Scale) × exp(-v) = exp(-x/Scale). It gets a random sign. Of +0 and -0, the latter is
// rejected, so that zero counts once, like every other number.
func noise(random io.Reader) int64 {
	for {
		u := uniform(random, Scale)
		if !decays(random, u, Scale) {
			continue
		}
		v := uint64(0)
		for decays(random, 1, 1) {
			v++
		}
		x, negative := int64(u+v*Scale), uniform(random, 2) == 1
		switch {
		case !negative:
			return x
		case x > 0:
			return -x
		}
	}
}

// decays returns true with probability exp(-n/d), for n up to d (algorithm 1 of the same
// paper). The k-th step continues with probability n/(d×k), so more than k steps are made with
// probability (n/d)^k/k!. The number of steps is odd with probability 1 - n/d + (n/d)²/2! - … =
// exp(-n/d).
func decays(random io.Reader, n, d uint64) bool {
	k := uint64(1)
	for uniform(random, d*k) < n {
		k++
	}
	return k%2 == 1
}

// uniform returns a random number below n. It rejects the 2^64 mod n smallest numbers, so that
// the others have each remainder equally often. It panics if there are no random bytes.
func uniform(random io.Reader, n uint64) uint64 {
	for {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			panic(err) // crypto/rand never fails
		}
		if v := binary.LittleEndian.Uint64(b[:]); v >= -n%n {
			return v % n
		}
	}
}
