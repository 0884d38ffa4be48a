package pages

import "slices"

var aboutInstances = []string{
	"An instance is one running process. Every process generates a random instance ID when it starts, so a restart is a new instance.",
	"Days are in UTC. A number counts each instance once in its day, week or period. Numbers of the current day or week still grow.",
	"Counts of instances have a standard error of 0.8 %. Small counts are exact.",
}

const aboutChecks = "A check is a request for the latest release without an instance ID."

var aboutInstallations = []string{
	"An installation is a place in which a program is installed and remembers the day of its last answer. It is counted without an identifier, once in each day, week and four weeks. Weeks and four weeks end with the last whole week, so charts can cover other days.",
	"A new installation has had no answer before. The others are returning.",
	"Programs that cannot remember are counted as instances, by their starts. Installations and starts are never added up.",
	"Shares of installations are of a mean day.",
}

var aboutNumbers = append(slices.Clip(aboutInstances),
	"Changes compare a period with as many days before it.",
	"An instance is on the latest minor line if it runs any version of that line or a newer one.",
	"Instances of withdrawn releases are counted as withdrawn only: neither on the latest release or minor line, nor on an older one.",
	"Releases behind are the stable releases newer than the version of an instance. Days behind are the days from the publication of its version to that of the latest release.",
	"Weeks begin on Monday. Only weeks that are completely in the period are shown.",
	"Adoption speed is the number of days from a release until half of the instances of a whole day ran it or a newer one.",
	"Instances whose version cannot be compared with others are not counted as running an older version.",
	"In the distribution and the percentiles of heap sizes, an instance counts once for each day on which it reported its heap usage, with the highest value of that day, within 1 %. If a build has more than 4,096 instances on a day, a sample of them counts. Days that an earlier version of relcheck aggregated are approximate.",
	"The chart of instances above a heap size counts each instance that ever exceeded the size. Its shares include instances that report no heap usage.",
	"Two versions are compared by a percentile of their heaps only if each has at least 10 instances (p50), 50 (p90), 100 (p95) or 500 (p99): fewer may differ by chance.",
	"In the chart of instances that reported more than once, an instance belongs to the day of its first report. Instances that started in the last two days may still report again.")
