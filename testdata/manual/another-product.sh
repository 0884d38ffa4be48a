setup() { relcheck serve; }
before_02() { echo app >myapp-linux-amd64; }
