//! Numbers that states give out.

use super::check;

#[test]
fn american_and_british_numbers() {
    check(&[
        ("us_ssn", "My SSN is 123-45-6789", "My SSN is #"),
        ("us_ssn", "SSN 666-45-6789", "SSN 666-45-6789"),
        ("us_ssn", "myssnfield 123456789", "myssnfield #"),
        ("us_ssn", "123456789 ssn", "123456789 ssn"),
        ("us_ssn", "SSN １２３-45-6789", "SSN #"),
        ("us_ssn", "SSN 123\u{200b}-45-6789", "SSN #"),
        ("us_ssn", "123–45–6789", "#"),
        ("us_itin", "912-70-1234", "#"),
        ("us_itin", "912701234", "912701234"),
        ("us_itin", "itin 912701234", "itin #"),
        ("us_passport", "passport A12345678", "passport #"),
        ("us_passport", "A12345678", "A12345678"),
        (
            "us_driver_license",
            "driver license D1234567",
            "driver license #",
        ),
        ("us_npi", "npi 1234567893", "npi #"),
        ("us_npi", "npi 1234567894", "npi 1234567894"),
        ("uk_nhs", "nhs 9434765919", "nhs #"),
        ("uk_nhs", "9434765919", "9434765919"),
        ("uk_nhs", "943 476 5919", "#"),
        ("uk_nino", "AB123456C AB 12 34 56 C", "# #"),
        ("uk_nino", "GB123456C", "GB123456C"),
    ]);
}

#[test]
fn numbers_of_other_countries() {
    check(&[
        ("it_fiscal_code", "rssmra85m01h501q", "#"),
        ("it_fiscal_code", "RSSMRA85M01H501A", "RSSMRA85M01H501A"),
        ("it_vat", "partita 12345670017", "partita 12345670017"),
        ("it_vat", "iva 12345670017, IT12345670017", "iva #, #"),
        ("it_passport", "passaporto YA1234567", "passaporto #"),
        ("it_identity_card", "cie CA12345AA", "cie #"),
        ("it_driver_license", "patente AB1234567C", "patente #"),
        ("in_aadhaar", "4961 0785 4310", "#"),
        ("in_aadhaar", "4961 0785 4311", "4961 0785 4311"),
        ("in_pan", "pan ABCPE1234F", "pan #"),
        ("es_nif", "12345678Z 12345678A", "# 12345678A"),
        ("es_nie", "X2109873Z X2109873A", "# X2109873A"),
        ("au_tfn", "876543210", "#"),
        ("au_tfn", "876543211", "876543211"),
        ("au_abn", "51824753556", "#"),
        ("au_abn", "51 824 753 556", "#"),
        ("pl_pesel", "44051401359", "#"),
        ("pl_pesel", "44051401358", "44051401358"),
        ("fi_pic", "131052-308T", "#"),
        ("fi_pic", "131052-308U", "131052-308U"),
        ("th_tnin", "1101700230708", "#"),
        ("kr_rrn", "820701-2409181", "#"),
        ("kr_rrn", "820701-2409182", "820701-2409182"),
        ("sg_fin", "nric S1234567D", "nric #"),
        ("sg_fin", "S1234567D", "S1234567D"),
    ]);
}
