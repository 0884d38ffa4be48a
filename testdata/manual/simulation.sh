before_03() {
  mkdir captures
  local body='{"id":"08c1d850-6065-478a-b9b5-a8f9f464ad33","version":"0.70.0"}'
  printf 'POST /v1/version HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\nContent-Length: %d\r\n\r\n%s' \
    ${#body} "$body" >captures/one.http
}
