setup() {
  relcheck product add myapp
  relcheck release add myapp v1.3.0
  relcheck serve
}
finish() {
  for program in "sh report.sh" "python3 report.py" "node report.mjs"; do
    MYAPP_TELEMETRY_SERVICE_URL=http://$ADDR $program | jq --exit-status '(.latest // .).opa_up_to_date == false'
    DO_NOT_TRACK=1 MYAPP_TELEMETRY_SERVICE_URL=http://$ADDR $program >off
    ! grep latest_release off
    MYAPP_TELEMETRY_SERVICE_URL=http://127.0.0.1:1 $program >/dev/null
  done
  relcheck export myapp | tee reports
  test "$(grep -c '"version":"1.2.0","os":"[a-z]*","arch":"a[a-z0-9]*"' reports)" = 3
}
