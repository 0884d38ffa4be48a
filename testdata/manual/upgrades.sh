setup() { relcheck release add opa v1.0.0; }
finish() { relcheck release list opa | grep v1.0.0; }
