Feature: A subscription, as a distributor's tests order it

  Scenario: An order is approved, and cancelled
    Given asset request
    And request with product "Nimbus Backup"
    And request with marketplace "Northland"
    And request with connection "its connection" of type "test"
    And request with note "Ordered by behave."
    And request with asset external id "random"
    And request with asset external uid "random"
    And request with asset customer "random"
    And request with asset tier1 "random"
    And request with item "the seat" with mpn "NB-SEAT" x3
    And request with parameter "region" with value "eu"
    And request with parameter "the contact" with value "a good address"
    And request with parameter "the activation" without value
    When subscription request is processed
    Then request status is "approved"
    And request note is "Ordered by behave."
    And request parameter "the contact" value is "a good address"
    And request parameter "the activation" value contains "ID:PR-"
    And request parameter "the activation" value match "^ID:PR(-\d+)+$"
    When the subscription is ended by a request of type "cancel"
    And request is processed
    Then request status is "approved"

  Scenario: An order is inquired
    Given asset request
    And request with product "Nimbus Backup"
    And request with marketplace "Northland"
    And request with connection "its connection" of type "test"
    And request with items
      | item     | mpn     | quantity |
      | the seat | NB-SEAT | 2        |
    And request with parameter "the contact" with value "a wrong address"
    When request is processed
    Then request status is "inquiring"
    And request parameter "the contact" value error is "Nobody reads this."
    And request parameter "the contact" value error contains "Nobody"
    And request parameter "the contact" value error match "reads"

  Scenario: An order fails
    Given asset request
    And request with product "Nimbus Backup"
    And request with marketplace "Northland"
    And request with connection "its connection" of type "test"
    And request with item "the seat" with mpn "NB-SEAT" x1
    And request with parameter "the contact" with value "fail@example.com"
    When request is processed
    Then request status is "failed"
    And request reason is "We don't sell to you."

  Scenario: A reseller is set up
    Given tier config request
    And request with product "Nimbus Secure Suite"
    And request with marketplace "Northland"
    And request with connection "the suite's connection" of type "test"
    And request with configuration account "random"
    And request with reseller level "1"
    And request with parameter "partner_agreement" with value "NS-2026-7"
    When tier configuration request is processed
    Then request status is "approved"
    And request parameter "partner_agreement" value is "NS-2026-7"
    And request parameter "partner_tenant" value match "^ID:TCR-"
