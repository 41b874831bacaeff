from debian
frm x
