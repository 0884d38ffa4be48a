package command

// giveWay does nothing: there, whoever wants that begins a process so.
func giveWay() {}
