setup() { relcheck serve; }
